//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"earshot/svc/load"
)

// metricsPort is where a measured coordinator tells its metrics, from its port on.
const metricsPort = 5

// metric asks a coordinator for one of its metrics.
func metric(ctx context.Context, coordinator netip.AddrPort, name string) (float64, error) {
	url := fmt.Sprintf("http://%v/metrics", netip.AddrPortFrom(coordinator.Addr(), coordinator.Port()+metricsPort))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", load.ErrLoad, err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%w: the coordinator has no metric %s", load.ErrLoad, name)
}
