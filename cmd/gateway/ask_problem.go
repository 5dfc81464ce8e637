package main

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
)

// listsRemedy is a remedy of the API for whoever uses curl.
var listsRemedy = regexp.MustCompile(`GET /v1/(functions|addresses|ingresses|egresses|deadletters|timers|members)\b`)

// listedBy is where something is to be looked for that there is none of.
func listedBy(detail string) string {
	for _, noun := range []string{"ingress", "egress"} {
		if strings.Contains(detail, "declares no "+noun+" ") || strings.Contains(detail, "there is no such thing: "+noun+" ") {
			return "gateway " + noun + "es lists those that are known"
		}
	}
	if !strings.Contains(detail, "waits for") {
		return "gateway functions, ingresses and egresses list what is known"
	}
	return "gateway stuck tells what waits, and gateway addresses show NAMESPACE/NAME ID what there is of an address"
}

// inCommands says the remedy of a refusal in the words of the command line: the gateway says it to whoever uses curl.
func inCommands(err error) error {
	var p *client.Problem
	if !errors.As(err, &p) {
		return err
	}
	switch {
	case p.Status == http.StatusUnauthorized:
		p.Remedy = "--token-file or " + tokenVariable + " names the file of the token; the gateway knows those of its --admin-token-file and --admin-read-token-file"
	case p.Status == http.StatusForbidden && strings.Contains(p.Detail, "token"):
		p.Remedy = "--token-file or " + tokenVariable + " names the file of another token: one of the gateway's --admin-token-file"
	case strings.Contains(p.Remedy, "/v1/send/"):
		p.Detail, p.Remedy = "what listens there takes events and is no admin side", "give --url or "+urlVariable+" the address of the gateway's --admin, mostly port 8081"
	case strings.Contains(p.Remedy, "PUT with If-None-Match"):
		p.Remedy = "gateway state get NAMESPACE/NAME ID shows those that are set; gateway state set sets one"
	case strings.Contains(p.Remedy, `{"typeName"`):
		p.Remedy = "give a value that its type can hold; --type, --json, --base64 and --bytes say how it is meant"
	case strings.Contains(p.Remedy, "look what there is"):
		p.Remedy = "it may be done already; " + listedBy(p.Detail)
	case strings.Contains(p.Detail, "another address can only be said"):
		p.Remedy = "replay it without --to"
	case strings.Contains(p.Remedy, "its version of now"):
		p.Remedy = "gateway state get shows it as it is now"
	default:
		p.Remedy = listsRemedy.ReplaceAllString(strings.ReplaceAll(p.Remedy, "GET / lists", "gateway --help lists"), "gateway $1")
	}
	return err
}
