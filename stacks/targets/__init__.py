"""The grounds an environment can run on. Only the modules here import a provider."""
