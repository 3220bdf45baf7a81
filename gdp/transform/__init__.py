"""Rules: what does a raw value mean?"""
