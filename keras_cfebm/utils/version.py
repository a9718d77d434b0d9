"""Version and public address of the project, each kept in this one place."""

__version__ = "0.1.0"

#: The address of the repository; the documentation and the notebooks read it.
REPOSITORY_URL = "https://github.com/keras-cfebm/keras_cfebm"
#: Whether the repository can be had there. Until then notebooks have no badge, and
#: install from a wheel or a checkout.
PUBLISHED = False
