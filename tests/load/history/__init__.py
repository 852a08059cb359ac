"""What seed_history.py fills a database with, and the pages that it asks for."""
