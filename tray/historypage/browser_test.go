//go:build linux

package historypage_test

import (
	"fmt"
	"strings"
	"testing"

	"earshot/tray/browsertest"
	"earshot/tray/chat"
)

// Every look of the page is taken a picture of, and none of them is wider than
// its window.
func TestLooks(t *testing.T) {
	b := browsertest.Start(t)
	full, empty := open(t, 12), open(t, 0)
	if _, err := empty.Erase(t.Context(), chat.Erasure{All: true}); err != nil {
		t.Fatal(err)
	}
	for _, language := range []string{"en", "zh-Hans"} {
		for _, dark := range []bool{false, true} {
			for _, width := range []int{1100, 390} {
				look := browsertest.Look{Width: width, Height: 800, Dark: dark}
				end := fmt.Sprintf("-%s-%d", language, width)
				if dark {
					end += "-dark"
				}
				p := b.Open(hosted(t, full, language)(), look)
				shoot := func(name string) {
					t.Helper()
					if wide := p.Eval("document.documentElement.scrollWidth"); wide.(float64) > float64(width) {
						t.Errorf("%s%s is %v wide", name, end, wide)
					}
					p.Screenshot("page-history-" + name + end)
				}
				lead := func(to, title string) {
					t.Helper()
					p.Eval(fmt.Sprintf("void (location.href = %q)", to))
					p.Await(to, fmt.Sprintf(`document.readyState === "complete" && (location.search + location.pathname).includes(%q)`, title))
				}
				shoot("recent")
				lead("./?q=budget", "q=budget")
				shoot("found")
				lead("./?q=zzz", "q=zzz")
				shoot("nothing")
				lead("./?peer=%E5%BC%A0%E4%B8%89&at=14#m-14", "at=14")
				shoot("conversation")
				lead("./erase?id=14", "erase")
				shoot("erase")
				p = b.Open(hosted(t, empty, language)(), look)
				shoot("empty")
			}
		}
	}
	if said := b.Complaints(); len(said) > 0 {
		t.Errorf("the browser complains: %q", said)
	}
}

// With nothing but keys one searches, jumps to the place and deletes; and
// everything has a name that a screen reader says.
func TestKeyboard(t *testing.T) {
	b := browsertest.Start(t)
	e := open(t, 120)
	p := b.Open(hosted(t, e, "en")(), browsertest.Look{})
	p.Await("the focus in the search", `document.activeElement.id === "q"`)
	p.Type("number 7 of")
	p.Press("Enter")
	p.Await("what was found", `location.search.includes("q=number") && document.readyState === "complete" && document.querySelectorAll("ol.found li").length > 0`)
	if marked := p.Text(`[...document.querySelector("ol.found li:last-child").querySelectorAll("mark")].map((m) => m.textContent).join()`); marked != "number 7 of" && marked != "number,7,of" {
		t.Errorf("marked is %q", marked)
	}
	tab := func(until string) {
		t.Helper()
		for range 300 {
			if p.Eval("Boolean("+until+")") == true {
				return
			}
			p.Press("Tab")
		}
		t.Fatalf("the keys don't reach %s", until)
	}
	tab(`document.activeElement.closest("li#m-7") && document.activeElement.getAttribute("href").includes("at=7")`)
	p.Press("Enter")
	p.Await("the place", `location.hash === "#m-7" && document.readyState === "complete" && document.querySelector("#m-7.cited") !== null`)
	if seen := p.Eval(`(() => { const r = document.querySelector("#m-7").getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight; })()`); seen != true {
		t.Error("the message is not in sight")
	}
	tab(`document.activeElement.closest("#m-7 .tools .danger")`)
	if p.Text(`getComputedStyle(document.activeElement).opacity`) != "1" {
		t.Error("what has the focus can't be seen")
	}
	p.Press("Enter")
	p.Await("the question", `document.querySelector(".ask") !== null && document.activeElement.classList.contains("button")`)
	p.Press("Tab", "Enter")
	p.Await("what came of it", `document.querySelector(".done")?.textContent === "1 message is deleted."`)
	if list, err := e.Search(t.Context(), chat.Query{Text: `"number 7 of"`, Limit: 9}); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if bare := p.Text(`[...document.querySelectorAll("input:not([type=hidden]), button, a, nav")].filter((e) => !e.labels?.length && !e.getAttribute("aria-label") && !e.textContent.trim()).map((e) => e.outerHTML).join()`); bare != "" {
		t.Errorf("without a name: %s", bare)
	}
	if said := b.Complaints(); len(said) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(said, "; "))
	}
}
