#!/usr/bin/env bash
# Generates the protobuf code of the gateway, of sdk/go and of sdk/python from the .proto files in api/protocol.
# Each of the three gets a protobuf package and file names of its own, so that all can live in one process.
#
#   scripts/generate.sh          write the generated code
#   scripts/generate.sh --check  fail when the code in the tree is not what would be written; changes nothing
#
# Needs Go and Python 3.8 to 3.12 (another one than python3: PYTHON=python3.12); the rest goes into a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
'' | --check) ;;
*)
  echo "usage: scripts/generate.sh [--check]" >&2
  exit 2
  ;;
esac

# grpcio-tools brings protoc. This one holds protoc 25.1, the last line whose Python code runs on every protobuf from 3.20
# (which StateFun's own SDK asks for) to the newest; later ones tie it to one major version. Go code is the same with either.
grpcio_tools=1.62.3

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"${PYTHON:-python3}" -m venv "$tmp/venv"
"$tmp/venv/bin/pip" -q --disable-pip-version-check install --only-binary :all: "grpcio-tools==$grpcio_tools" "setuptools<80"
GOBIN="$tmp/bin" go install google.golang.org/protobuf/cmd/protoc-gen-go # at the version in go.mod

protoc() {
  "$tmp/venv/bin/python" -W ignore -m grpc_tools.protoc --plugin="$tmp/bin/protoc-gen-go" "$@"
}

# sources DIR FOLDER PACKAGE: the .proto files in DIR/FOLDER, under that package name
sources() {
  mkdir -p "$1/$2"
  local f
  for f in api/protocol/*.proto; do
    sed "s/^package .*/package $3;/; s#^import \"stategate/protocol/v1/#import \"$2/#" "$f" >"$1/$2/$(basename "$f")"
  done
}

# golang PACKAGE IMPORT OUT: Go code
golang() {
  local folder=${1//.//} src="$tmp/src-$1" mappings=() f
  sources "$src" "$folder" "$1"
  for f in api/protocol/*.proto; do
    mappings+=("--go_opt=M$folder/$(basename "$f")=$2")
  done
  mkdir -p "$3"
  protoc -I "$src" --go_out="$3" --go_opt=module="$2" "${mappings[@]}" "$src/$folder"/*.proto
}

# python PACKAGE FOLDER OUT: Python code; protoc takes the module's name from the folder
python() {
  local src="$tmp/src-$1"
  sources "$src" "$2" "$1"
  mkdir -p "$3"
  protoc -I "$src" --python_out="$3" --pyi_out="$3" "$src/$2"/*.proto
  sed -i '1i # mypy: ignore-errors' "$3/$2"/*_pb2.pyi # the protobuf library has no types of its own
}

golang stategate.protocol.v1 github.com/stategate/stategate/api/protocol "$tmp/out/api/protocol"
golang stategate.sdk.go.v1 github.com/stategate/stategate/sdk/go/internal/protocol "$tmp/out/sdk/go/internal/protocol"
python stategate.sdk.python.v1 stategate/_protocol "$tmp/out/sdk/python"

generated() {
  (cd "$1" && find api/protocol sdk/go/internal/protocol sdk/python/stategate/_protocol \
    \( -name '*.pb.go' -o -name '*_pb2.py' -o -name '*_pb2.pyi' \) | sort)
}

if [ "${1:-}" = --check ]; then
  diff <(generated .) <(generated "$tmp/out") >&2 || { echo "generated files are missing or left over: run scripts/generate.sh" >&2; exit 1; }
  generated . | while read -r f; do
    cmp "$tmp/out/$f" "$f" >&2 || { echo "$f is not what scripts/generate.sh writes: run it" >&2; exit 1; }
  done
  echo "generated code is current"
  exit 0
fi

generated . | xargs -r rm
cp -R "$tmp/out/." .
