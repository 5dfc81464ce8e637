package endpoint

import (
	"maps"
	"net/http"

	"github.com/stategate/stategate/api"
)

// traceHeader is api.TraceHeader as net/http writes names.
const traceHeader = "Traceparent"

// traced are the headers of a request that is in a trace.
func traced(headers http.Header, in *api.Trace) http.Header {
	headers = maps.Clone(headers)
	headers[traceHeader] = []string{in.String()}
	return headers
}
