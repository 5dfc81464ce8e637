// Package sdktest proves that applications on the official SDKs of Stateful Functions run as they are: it starts those in
// testdata/statefun/apps (Python, JavaScript, Java), each a process of its own, real Kafka and the real gateway, sends commands and
// compares everything that comes out. For Go, whose SDK is on no module proxy, functions answer the very bytes and statuses that
// its handler answers. It holds tests only.
//
//	go test ./cmd/gateway/internal/sdktest                        about a minute and a half; scripts/sdks.sh installs the SDKs
//	go test ./cmd/gateway/internal/sdktest -run TestSDK/python
//	go test ./cmd/gateway/internal/sdktest -short                 half of it: nothing in thousands, and nothing is killed
package sdktest
