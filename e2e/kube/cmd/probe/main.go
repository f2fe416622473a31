// Package main is the program that the cluster's own proof runs in pods. Served: it notes each start
// and stop in its volume and answers over HTTP. Called with a verb it is a client for kubectl exec,
// as the image holds no shell:
//
//	probe get URL · probe dns NAME · probe read FILE · probe write FILE TEXT
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	history  = "/data/history"
	patience = 5 * time.Second
)

func main() {
	var err error
	switch a := os.Args; {
	case len(a) == 1:
		err = serve()
	case a[1] == "get" && len(a) == 3:
		err = get(a[2])
	case a[1] == "dns" && len(a) == 3:
		err = lookup(a[2])
	case a[1] == "read" && len(a) == 3:
		var b []byte
		if b, err = os.ReadFile(a[2]); err == nil {
			_, err = os.Stdout.Write(b)
		}
	case a[1] == "write" && len(a) == 4:
		err = os.WriteFile(a[2], []byte(a[3]), 0o644)
	default:
		err = fmt.Errorf("usage: probe [get URL | dns NAME | read FILE | write FILE TEXT]")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func get(url string) error {
	r, err := (&http.Client{Timeout: patience}).Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	_, err = io.Copy(os.Stdout, r.Body)
	return err
}

func lookup(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	slices.Sort(addresses)
	fmt.Println(strings.Join(addresses, " "))
	return nil
}

// note appends one durable line to the history in the volume.
func note(what string) error {
	f, err := os.OpenFile(history, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, what); err != nil {
		return err
	}
	return f.Sync()
}

func serve() error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	if err := note("start " + host); err != nil {
		return err
	}
	http.HandleFunc("/history", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, history) })
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello from", host) })
	failed := make(chan error, 1)
	go func() { failed <- http.ListenAndServe(":8080", nil) }()
	fmt.Println("serving as", os.Getuid(), "on", host)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case err := <-failed:
		return err
	case <-stop:
		return note("stop " + host)
	}
}
