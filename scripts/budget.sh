#!/usr/bin/env bash
# What the library costs a host that imports nothing else: modules, bytes, start-up time
# and memory, each against its budget. Fails when one of the first two is exceeded; the
# other two depend on the machine and are printed only.
set -euo pipefail
cd "$(dirname "$0")/.."

max_modules=24
max_growth_kb=13000 # 13 MB
max_start_ms=100
max_rss_kb=25600

tmp=$(mktemp -d)
host=
cleanup() {
	if [ -n "$host" ]; then kill "$host" 2>/dev/null || true; fi
	rm -rf "$tmp"
}
trap cleanup EXIT

mkdir "$tmp/hello" "$tmp/host" "$tmp/data"
cat >"$tmp/hello/main.go" <<'GO'
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	http.HandleFunc("/auth/health", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") })
	log.Fatal(http.Serve(l, nil))
}
GO
cat >"$tmp/host/main.go" <<'GO'
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/truekeel/auth"
)

func main() {
	a, err := auth.New()
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	http.Handle("/auth/", a)
	log.Fatal(http.Serve(l, nil))
}
GO

status=0
# verdict NAME VALUE LIMIT UNIT: one line; 1 if over.
verdict() {
	local word=ok
	[ "$2" -le "$3" ] || word=OVER
	printf '%-44s %8d %-3s (budget %d) %s\n' "$1" "$2" "$4" "$3" "$word"
	[ "$word" = ok ]
}

go list -deps -f '{{with .Module}}{{.Path}} {{.Version}}{{end}}' "$tmp/host/main.go" |
	sed -e '/^$/d' -e '\|^github.com/truekeel/auth |d' | sort -u >"$tmp/modules"
cat "$tmp/modules"
verdict "modules linked beside our own" "$(wc -l <"$tmp/modules")" $max_modules "" || status=1

for p in hello host; do
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$tmp/$p/$p" "$tmp/$p/main.go"
done
hello_kb=$(($(wc -c <"$tmp/hello/hello") / 1000))
host_kb=$(($(wc -c <"$tmp/host/host") / 1000))
echo "net/http hello $hello_kb kB, host $host_kb kB"
verdict "growth of the binary" $((host_kb - hello_kb)) $max_growth_kb kB || status=1

# start: runs the host in $tmp/data, sets $host and $ms, the time to its first answer.
start() {
	local begin=$EPOCHREALTIME end port line
	coproc HOST { cd "$tmp/data" && exec "$tmp/host/host" 2>"$tmp/host.log"; }
	host=$HOST_PID
	read -r port <&"${HOST[0]}" || { cat "$tmp/host.log" >&2; exit 1; }
	exec 3<>"/dev/tcp/127.0.0.1/$port"
	printf 'GET /auth/health HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\n\r\n' "$port" >&3
	read -r line <&3
	end=$EPOCHREALTIME
	exec 3>&-
	[[ $line == "HTTP/1.1 200"* ]] || { echo "first answer: $line" >&2; cat "$tmp/host.log" >&2; exit 1; }
	ms=$(((${end/./} - ${begin/./}) / 1000))
}

stop() {
	kill "$host"
	wait "$host" 2>/dev/null || true
	host=
}

start # makes the database
first=$ms
stop
times=()
for _ in 1 2 3 4 5; do
	start
	times+=("$ms")
	[ ${#times[@]} -eq 5 ] || stop
done
mapfile -t times < <(printf '%s\n' "${times[@]}" | sort -n)
verdict "start to first answer, new database" "$first" 1000 ms || true
verdict "start to first answer, median of 5" "${times[2]}" $max_start_ms ms || true

sleep 2 # idle
if [ -r "/proc/$host/status" ]; then
	rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$host/status")
else
	rss=$(ps -o rss= -p "$host")
fi
verdict "resident memory when idle" "$rss" $max_rss_kb kB || true
stop
exit $status
