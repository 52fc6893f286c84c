"""What only the notebooks need: explorers, the checker of the exercises, navigation, running them all."""
