"""Public image sets: photographs, ImageNet and its relatives, CIFAR, smallNORB, any folder.

A file of this folder that registers a set is found because it lies here. It lists the files of the set,
:func:`build` reads them once, image by image, into the project's own image set, so that everything else works
on it as on the rendered objects.
"""

from robustness.data.on_disk.registry import DATA_SETS, build, check
from robustness.data.origin import class_groups, metadata, summary
from robustness.registry import import_all

__all__ = ["DATA_SETS", "build", "check", "class_groups", "metadata", "summary"]

import_all(__name__)
