// An echo server on gorilla/websocket, as its documentation shows one: a goroutine a connection, which reads a message
// and writes it back. Commands on standard input: settle, quit.
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"runtime/debug"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{}

func echo(response http.ResponseWriter, request *http.Request) {
	connection, err := upgrader.Upgrade(response, request, nil)
	if err != nil {
		return
	}
	defer connection.Close()
	for {
		kind, message, err := connection.ReadMessage()
		if err != nil {
			return
		}
		if connection.WriteMessage(kind, message) != nil {
			return
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(listener, http.HandlerFunc(echo))
	fmt.Printf("ok port=%d\n", listener.Addr().(*net.TCPAddr).Port)
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		switch commands.Text() {
		case "settle":
			debug.FreeOSMemory() // collects first
			fmt.Println("ok")
		case "quit":
			return
		default:
			fmt.Println("error unknown command")
		}
	}
}
