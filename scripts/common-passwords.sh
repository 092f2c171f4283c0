#!/usr/bin/env bash
# Makes internal/password/common.txt.gz, the list of passwords that most people choose:
# of the list of @zxcvbn-ts/language-common (MIT), which is ordered by frequency and in
# small letters, the first 10,000 with eight characters or more, the first 3,000 with six
# or seven, and all with fifteen or more; one a line, sorted by bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

package=@zxcvbn-ts/language-common@4.1.3
out=$PWD/internal/password/common.txt.gz

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
(cd "$tmp" && npm pack --silent "$package" >/dev/null && tar xzf ./*.tgz)

node -e '
const all = require(process.argv[1]).filter(p => /^[\x21-\x7e]+$/.test(p)).map(p => p.toLowerCase());
const first = (n, fits) => all.filter(fits).slice(0, n);
const some = [
	...first(10000, p => p.length >= 8),
	...first(3000, p => p.length === 6 || p.length === 7),
	...all.filter(p => p.length >= 15),
];
process.stdout.write([...new Set(some)].sort().map(p => p + "\n").join(""));
' "$tmp/package/src/passwords.json" | LC_ALL=C sort -u | gzip -9n >"$out"

echo "$(zcat "$out" | wc -l) passwords, $(wc -c <"$out") bytes"
