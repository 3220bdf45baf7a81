"""Checks: can a vintage be trusted?"""
