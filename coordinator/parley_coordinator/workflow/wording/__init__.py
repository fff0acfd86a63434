"""How the parts of a document are said to people: pure text, nothing that a terminal or a page obeys."""
