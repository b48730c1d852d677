"""Decodes the pictures below a folder and resizes them to 64x64, as its users do with a peer.

usage: loading.py pillow|pillow-draft|opencv|opencv-reduced FOLDER THREADS

Prints one line of JSON: pictures, seconds, peak_bytes. The time begins before the folder is listed
and ends with all pixels in one array; starting Python and its imports is not in it.
"""

import json
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy

SIDE = 64
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")


def pillow(draft):
    from PIL import Image

    def prepare(path):
        with Image.open(path) as picture:
            if draft:
                picture.draft("RGB", (SIDE, SIDE))
            return numpy.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))

    return prepare


def opencv(reduced):
    import cv2

    # A JPEG decoded at a quarter of its size: 125x94 of 500x375, as near above 64x64 as there is.
    mode = cv2.IMREAD_REDUCED_COLOR_4 if reduced else cv2.IMREAD_COLOR

    # One thread a picture, as many pictures as there are threads.
    cv2.setNumThreads(1)

    def prepare(path):
        picture = cv2.imread(path, mode)
        # Its default, bilinear without smoothing, is the fastest it has.
        return cv2.cvtColor(cv2.resize(picture, (SIDE, SIDE)), cv2.COLOR_BGR2RGB)

    return prepare


def main():
    peer, folder, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    library, _, way = peer.partition("-")
    prepare = {"pillow": pillow, "opencv": opencv}[library](way != "")
    start = time.perf_counter()
    paths = []
    for root, _, names in os.walk(folder):
        paths += [os.path.join(root, name) for name in names if name.lower().endswith(SUFFIXES)]
    paths.sort()
    pixels = numpy.empty((len(paths), SIDE, SIDE, 3), dtype=numpy.uint8)

    def fill(first):
        for place in range(first, min(first + 64, len(paths))):
            pixels[place] = prepare(paths[place])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(0, len(paths), 64)))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"pictures": len(paths), "seconds": seconds, "peak_bytes": peak}))


main()
