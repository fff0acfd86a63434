"""The agents of the kit: A2A servers that do what a script says, also what no server may do."""
