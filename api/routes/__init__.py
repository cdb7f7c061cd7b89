"""The routes, a module for each noun: each parses, calls one verb, and answers."""
