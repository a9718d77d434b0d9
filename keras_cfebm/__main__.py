"""`python -m keras_cfebm` is the command `cfebm`."""

from keras_cfebm.cli.main import run

if __name__ == "__main__":
    run()
