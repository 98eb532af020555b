"""test-tdd-project, simulated: a Streamlit application on SQLite that tracks TDD cycles."""
