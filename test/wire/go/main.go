// CloudEvents' Go SDK and net/http, unmodified, behind a few verbs:
//
//	ce-client send    URL binary|structured COUNT   client.Send, one by one
//	ce-client batch   URL COUNT                     one request of a batch
//	ce-client receive URL                           reads one event over HTTP
//	ce-client post    URL BODY                      net/http alone
//
// Prints one line of JSON for each thing done.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

func say(v interface{}) {
	line, err := json.Marshal(v)
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	check(err)
	return n
}

func event(i int) cloudevents.Event {
	e := cloudevents.NewEvent()
	e.SetID(fmt.Sprintf("go-%d", i))
	e.SetType("go.sent")
	e.SetSource("/go/sdk")
	e.SetSubject("größe 100%")
	e.SetExtension("ext1", "a \"quoted\" text")
	check(e.SetData(cloudevents.ApplicationJSON, map[string]int{"n": i}))
	return e
}

func send(url, mode string, count int) {
	client, err := cloudevents.NewClientHTTP()
	check(err)
	ctx := cloudevents.ContextWithTarget(context.Background(), url)
	if mode == "binary" {
		ctx = binding.WithForceBinary(ctx)
	} else {
		ctx = binding.WithForceStructured(ctx)
	}
	for i := 0; i < count; i++ {
		result := client.Send(ctx, event(i))
		var answer *cehttp.Result
		status := 0
		if cloudevents.ResultAs(result, &answer) {
			status = answer.StatusCode
		}
		say(map[string]interface{}{"ack": cloudevents.IsACK(result), "status": status})
	}
}

func batch(url string, count int) {
	events := []cloudevents.Event{}
	for i := 0; i < count; i++ {
		events = append(events, event(i))
	}
	request, err := cloudevents.NewHTTPRequestFromEvents(context.Background(), url, events)
	check(err)
	answer, err := http.DefaultClient.Do(request)
	check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(err)
	say(map[string]interface{}{"status": answer.StatusCode, "body": string(body)})
}

func receive(url string) {
	answer, err := http.Get(url)
	check(err)
	defer answer.Body.Close()
	e, err := cloudevents.NewEventFromHTTPResponse(answer)
	check(err)
	check(e.Validate())
	say(e)
}

func post(url, body string) {
	answer, err := http.Post(url, "text/plain", bytes.NewBufferString(body))
	check(err)
	defer answer.Body.Close()
	say(map[string]interface{}{"status": answer.StatusCode})
}

func main() {
	args := os.Args[1:]
	switch {
	case len(args) == 4 && args[0] == "send":
		send(args[1], args[2], number(args[3]))
	case len(args) == 3 && args[0] == "batch":
		batch(args[1], number(args[2]))
	case len(args) == 2 && args[0] == "receive":
		receive(args[1])
	case len(args) == 3 && args[0] == "post":
		post(args[1], args[2])
	default:
		fmt.Fprintln(os.Stderr, "ce-client send|batch|receive|post ...")
		os.Exit(2)
	}
}
