#!/bin/sh
# web.sh make|check DIR: the script and the style sheet of the page (web/), made in DIR with the packages of
# web/package-lock.json: put into web/dist, or compared with it.  What is in web/dist is what `make` uses.
# Without npm, or where it reaches nobody, nothing is checked, and that is said.
set -eu
what=$1 dir=$2

unable() {
	echo "web: $1: web/dist is not checked, nor is the page in a browser" >&2
	[ "$what" = check ]
	exit
}

command -v npm >/dev/null || unable 'there is no npm'
mkdir -p "$dir"
cp -r web/package.json web/package-lock.json web/.npmrc web/build.mjs "$dir"
rm -rf "$dir/src"
cp -r web/src "$dir"
if ! cmp -s web/package-lock.json "$dir/installed"; then
	(cd "$dir" && npm ci --ignore-scripts --fetch-retries=1 >npm.log 2>&1) || {
		cat "$dir/npm.log" >&2
		grep -Eq 'ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED' "$dir/npm.log" || exit 1
		unable 'no packages can be had'
	}
	cp web/package-lock.json "$dir/installed"
fi
rm -rf "$dir/dist"
(cd "$dir" && node build.mjs)
if [ "$what" = make ]; then
	mkdir -p web/dist
	cp "$dir"/dist/* web/dist
elif ! diff -rq "$dir/dist" web/dist; then
	echo 'web: web/dist is not what web/src makes: run make web' >&2
	exit 1
fi
