"""A stand-in for the native `benchmark_model` of TFLite or LiteRT, with real inferences.

It has the flags and the output of the tool and runs the model with LiteRT on this computer's CPU.
The behavior of the phone's accelerators comes from a JSON file named by an environment variable.
`stand_in_binary` packs this folder into a single file, which tests push to the phone, so it must
not import any other part of the project.
"""
