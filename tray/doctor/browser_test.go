//go:build linux

package doctor

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"earshot/tray/browsertest"
	"earshot/tray/chat"
	"earshot/tray/i18n"
)

// The page is taken a picture of in both languages, light and dark, wide and
// narrow.
func TestLooks(t *testing.T) {
	b := browsertest.Start(t)
	for _, language := range []string{"en", "zh-Hans"} {
		r := well()
		r.Diagnosis.NAT = "hard"
		r.Diagnosis.People = append(r.Diagnosis.People, chat.Reach{Name: "王小明"}, chat.Reach{Name: "Dee", Route: chat.RoutePunched, Milliseconds: 31})
		r.Judge()
		var problem error
		s := httptest.NewServer(Page(func(*http.Request) (Report, error) { return r, problem }, i18n.New(language)))
		for _, dark := range []bool{false, true} {
			for _, width := range []int{1000, 390} {
				name := fmt.Sprintf("page-doctor-%s-%d", language, width)
				if dark {
					name += "-dark"
				}
				p := b.Open(s.URL+"/", browsertest.Look{Width: width, Height: 900, Dark: dark})
				if wide := p.Eval("document.documentElement.scrollWidth"); wide.(float64) > float64(width) {
					t.Errorf("%s is %v wide", name, wide)
				}
				if looking := p.Text(`getComputedStyle(document.querySelector(".looking")).display`); looking != "none" {
					t.Errorf("%s is still looking: %s", name, looking)
				}
				p.Screenshot(name)
			}
		}
		problem = errors.New("the client ends")
		p := b.Open(s.URL+"/", browsertest.Look{})
		if text := p.Text("document.body.innerText"); text == "" {
			t.Error("a failure shows nothing")
		}
		s.Close()
	}
	if said := b.Complaints(); len(said) > 0 {
		t.Errorf("the browser complains: %q", said)
	}
}
