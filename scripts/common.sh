# Sourced by the scripts beside it: where the checkout is, how they speak, which cmake they use.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# Prints the path of a cmake that reads this project's presets (3.25 or newer); fails without one.
find_cmake() {
  local candidate path version
  for candidate in cmake /usr/bin/cmake; do
    path=$(command -v "$candidate") || continue
    version=$("$path" --version 2>/dev/null | sed -n '1s/^cmake version //p')
    if [[ $version && $(printf '3.25\n%s\n' "$version" | sort -V | head -n 1) == 3.25 ]]; then
      printf '%s\n' "$path"
      return 0
    fi
  done
  return 1
}
