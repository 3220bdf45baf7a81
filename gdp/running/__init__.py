"""How does a stage run? Its command line, journal, turn, processes and screens."""
