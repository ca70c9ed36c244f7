"""Photographs, video frames and whatever else a person has to look at → arrays, as the model's own processor makes them."""
