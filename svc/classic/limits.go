package classic

import (
	"time"

	"earshot/svc/limit"
)

// rates are how fast an address may do what. They belong to the goroutine that
// reads datagrams.
type rates struct {
	datagrams, logins, groups limit.Rate
}

func newRates(l Limits) rates {
	return rates{
		datagrams: limit.NewRate(l.DatagramsPerSecondPerAddress, 2*time.Second),
		logins:    limit.NewRate(l.LoginsPerSecondPerAddress, 4*time.Second),
		groups:    limit.NewRate(l.GroupMessagesPerSecondPerAddress, 4*time.Second),
	}
}
