"""Hands architectures that convnet wrote to real Keras: each must become a model with the same parameters and output."""

import json
import os
import sys
import tempfile

os.environ["KERAS_BACKEND"] = "torch"
# Keras writes its settings on import: nowhere near the user's.
settings = tempfile.TemporaryDirectory()
os.environ["KERAS_HOME"] = settings.name

import keras


def main(path):
    """`path`: a list of {name, model, parameters, output_shape}."""
    with open(path, encoding="utf-8") as file:
        documents = json.load(file)
    wrong = []
    for document in documents:
        try:
            model = keras.models.model_from_json(json.dumps(document["model"]))
            got = [model.count_params(), list(model.output_shape[1:])]
        except Exception as error:  # whatever Keras says
            got = f"{type(error).__name__}: {error}".splitlines()[0]
        if got != [document["parameters"], document["output_shape"]]:
            wrong.append(f"{document['name']}: {got}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"Keras {keras.__version__} takes {len(documents)} architectures")


main(sys.argv[1])
