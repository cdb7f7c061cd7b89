"""Who may do what: teams, API keys, browser sessions."""
