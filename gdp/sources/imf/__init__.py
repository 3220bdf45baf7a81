"""The IMF's World Economic Outlook: its APIs, its files, and its releases."""
