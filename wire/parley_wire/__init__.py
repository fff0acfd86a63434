"""How the mesh talks: A2A servers and clients, HTTP, and the database under them."""
