"""Public image sets: photographs, ImageNet and its relatives, CIFAR, smallNORB, any folder.

Each adapter lists the files of a set; :func:`build` reads them once, image by image, into the project's own
image set, so that everything else works on it as on the rendered objects.
"""

from robustness.data.on_disk.catalogue import ADAPTERS, build, check
from robustness.data.origin import class_groups, metadata, summary

__all__ = ["ADAPTERS", "build", "check", "class_groups", "metadata", "summary"]
