"""Whether a plugin keeps the rules: each of them a check, asked of everything that it registers."""
