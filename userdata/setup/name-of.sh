# shellcheck shell=sh
# The name of the release that is in a folder, as nameOf in lib/release.ts computes it.
name_of() {
    (
        cd -- "$1" || exit
        {
            # With the folder: to sha256sum, `-` alone would be its stdin.
            find . -type f -printf './%P\0' | LC_ALL=C sort -z | xargs -0 -r sha256sum --
            find . \( -type f -perm /111 -printf 'x %P\n' \) -o \( -type l -printf 'l %P -> %l\n' \) | LC_ALL=C sort
        } | sha256sum | cut -c 1-16
    )
}
