package machine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stategate/stategate/dispatcher/machine"
)

// BenchmarkAddresses gathers a page of a thousand among all addresses that wait behind an endpoint that is down. turn-ms is how long the
// loop is held by one of its turns, begin-ms and told-ms by the first and the last one, page-ms by all of them; of each the median, for
// others use the processors too.
func BenchmarkAddresses(b *testing.B) {
	for _, addresses := range []int{1000, 200_000, 1_000_000} {
		b.Run(fmt.Sprintf("addresses=%d", addresses), func(b *testing.B) {
			m := downWith(addresses)
			var begin, turn, told, page []time.Duration
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				at := time.Now()
				l := m.LookForAddresses(functionType("f"), "user-", nil, 1000)
				begin = append(begin, time.Since(at))
				sum := begin[len(begin)-1]
				for done := false; !done; {
					at = time.Now()
					done = m.GoOnAddresses(l)
					turn = append(turn, time.Since(at))
					sum += turn[len(turn)-1]
				}
				at = time.Now()
				var found []machine.KeyedAddress
				found, _ = m.Gathered(l)
				told = append(told, time.Since(at))
				page = append(page, sum+told[len(told)-1])
				if len(found) != 1000 {
					b.Fatalf("found %d", len(found))
				}
			}
			b.ReportMetric(median(begin), "begin-ms")
			b.ReportMetric(median(turn), "turn-ms")
			b.ReportMetric(median(told), "told-ms")
			b.ReportMetric(median(page), "page-ms")
		})
	}
}
