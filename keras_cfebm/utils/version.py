"""Version and public address of the project, each kept in this one place."""

__version__ = "0.1.0"

#: Set this once the repository has a public address; README and notebooks read it.
REPOSITORY_URL = "https://github.com/keras-cfebm/keras_cfebm"
