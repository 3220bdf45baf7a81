"""The World Bank's World Development Indicators: the API, its archive, and its files."""
