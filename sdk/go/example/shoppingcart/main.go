// A shop: carts that reserve items of a stock, buy them, or give them back when nobody touches them for half an hour. module.yaml beside
// this file wires the functions to topics; cart_test.go tests them without a gateway.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"

	stategate "github.com/stategate/stategate/sdk/go"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8000", "`HOST:PORT` to serve functions on; port 0 takes a free one")
	flag.Parse()
	functions, err := stategate.NewHandler(stategate.Config{Functions: []stategate.Function{cart, stock}})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/statefun", functions)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
