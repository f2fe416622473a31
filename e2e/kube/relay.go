package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
)

// relay LISTEN TARGET PID accepts on LISTEN in the caller's network and dials TARGET in the network of
// process PID. The listening socket is made here and inherited by a child that nsenter puts into the
// other network, so neither network gets a route to the other. The child joins PID's process namespace
// too: the relay ends with the machine that it leads to, and so frees its port.
func relay() int {
	a := arguments(3, "relay LISTEN TARGET PID")
	listener := must(net.Listen("tcp", a[0]))
	file := must(listener.(*net.TCPListener).File())
	self := must(os.Executable())
	child := exec.Command(must(exec.LookPath("nsenter")), "--target="+a[2], "--net", "--pid", self, "relay-inside", a[1])
	child.ExtraFiles = []*os.File{file}
	child.Stderr = os.Stderr
	if err := child.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "relay ended:", err)
		return 1
	}
	return 0
}

// relayInside TARGET serves the inherited socket (file descriptor 3).
func relayInside() int {
	a := arguments(1, "relay-inside TARGET")
	listener := must(net.FileListener(os.NewFile(3, "listener")))
	for {
		c := must(listener.Accept())
		go forward(c, a[0])
	}
}

func forward(client net.Conn, target string) {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(client, server)
}
