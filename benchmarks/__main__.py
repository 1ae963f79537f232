"""Runs the benchmarks named on the command line, or all of them."""

import sys

from benchmarks import burst, codec, imports

SUITES = {"codec": codec.main, "burst": burst.main, "imports": imports.main}


def main() -> None:
    names = sys.argv[1:] or list(SUITES)
    unknown = set(names) - set(SUITES)
    if unknown:
        sys.exit(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    for name in names:
        SUITES[name]()


main()
