"""How does a stage run? Its command line, turn, processes and screens."""
