"""What tasks are made of: the contract, a pipeline for each thing that models are given, and what several tasks do to answers."""
