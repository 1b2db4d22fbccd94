// A custom handler of Azure Functions, as its documentation has them written in Go: net/http, the
// port from the environment, a path for each function. It knows nothing of weir.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

type InvokeRequest struct {
	Data     map[string]json.RawMessage
	Metadata map[string]interface{}
}

type InvokeResponse struct {
	Outputs     map[string]interface{}
	Logs        []string
	ReturnValue interface{}
}

type Order struct {
	N int `json:"n"`
}

// A queue's message: a string with JSON in it. n < 0 is refused, n = 0 is answered with nonsense.
func orders(w http.ResponseWriter, r *http.Request) {
	var call InvokeRequest
	var text string
	var order Order
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if json.Unmarshal(call.Data["order"], &text) != nil || json.Unmarshal([]byte(text), &order) != nil {
		http.Error(w, "no order", http.StatusBadRequest)
		return
	}
	if order.N < 0 {
		http.Error(w, "refused", http.StatusInternalServerError)
		return
	}
	if order.N == 0 {
		fmt.Fprint(w, "done")
		return
	}
	sys := call.Metadata["sys"].(map[string]interface{})
	answer := InvokeResponse{
		Outputs: map[string]interface{}{
			"doubled": map[string]int{"n": 2 * order.N},
			"seen": map[string]interface{}{
				"method": sys["MethodName"], "attempt": call.Metadata["DequeueCount"],
				"id": call.Metadata["Id"], "agent": r.UserAgent(), "type": r.Header.Get("Content-Type"),
				"invocation": r.Header.Get("X-Azure-Functions-InvocationId")},
		},
		Logs:        []string{fmt.Sprintf("order of %d", order.N)},
		ReturnValue: []string{"one", "two"},
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

// An Event Grid event: itself, and passed on as an event of another type.
func events(w http.ResponseWriter, r *http.Request) {
	var call struct {
		Data map[string]map[string]interface{}
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	event := call.Data["event"]
	event["type"] = "seen." + event["type"].(string)
	delete(event, "id")
	json.NewEncoder(w).Encode(map[string]interface{}{"Outputs": map[string]interface{}{"out": event}})
}

// An HTTP trigger with an output binding beside its answer, as function.json has them: "req", "res"
// and "saved". A body of "fail", "nonsense" or "teapot" is answered so.
func save(w http.ResponseWriter, r *http.Request) {
	var call struct {
		Data map[string]struct {
			Url, Method, Body string
			Query, Params     map[string]string
			Headers           map[string][]string
			Identities        []map[string]interface{}
		}
		Metadata map[string]map[string]string
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req := call.Data["req"]
	res := map[string]interface{}{"statusCode": 201, "body": req,
		"headers": map[string]interface{}{"X-Own": "yes", "Set-Cookie": []string{"a=1", "b=2"},
			"Content-Length": "3", "Location": "/things/" + req.Params["id"]}}
	answer := map[string]interface{}{
		"Outputs": map[string]interface{}{"res": res,
			"saved": map[string]string{"id": req.Params["id"], "method": call.Metadata["sys"]["MethodName"]}},
		"Logs": []string{"saved " + req.Params["id"]}}
	switch req.Body {
	case "fail":
		http.Error(w, "refused", http.StatusInternalServerError)
		return
	case "nonsense":
		fmt.Fprint(w, "done")
		return
	case "teapot":
		res["statusCode"], res["body"] = "418", "short and stout"
	case "status":
		res["statusCode"] = 99
	case "return":
		answer = map[string]interface{}{"ReturnValue": map[string]int{"n": 1}}
	case "nothing":
		answer = map[string]interface{}{}
	}
	json.NewEncoder(w).Encode(answer)
}

// With enableForwardingHttpRequest: an HTTP API like any other.
func forwarded(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Method", r.Method)
	w.WriteHeader(http.StatusAccepted)
	json.NewEncoder(w).Encode(map[string]string{"url": r.URL.String(), "host": r.Host,
		"agent": r.UserAgent(), "body": string(body), "own": r.Header.Get("X-Own"),
		"invocation": r.Header.Get("X-Azure-Functions-InvocationId")})
}

func main() {
	port, ok := os.LookupEnv("FUNCTIONS_CUSTOMHANDLER_PORT")
	if !ok {
		port = "8080"
	}
	http.HandleFunc("/Orders", orders)
	http.HandleFunc("/events", events)
	http.HandleFunc("/Save", save)
	http.HandleFunc("/api/Forwarded", forwarded)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("asked for", r.URL.Path)
		http.NotFound(w, r)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
