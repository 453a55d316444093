"""A stand-in for the native `benchmark_model`, TFLite's or LiteRT's: flags, lines, real inferences.

It runs the model through LiteRT on this computer's CPU. What a phone's accelerators would have done
is told by the phone's profile, a JSON file that the environment names. Tests push it to the phone
as one file, a zip that `stand_in_binary` packs of this folder; it imports nothing of the project.
"""
