"""How an upload is received, validated and stored."""
