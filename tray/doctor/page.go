package doctor

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"

	"earshot/tray/i18n"
)

//go:embed page.css
var files embed.FS

// head and rest are the page before and after it is known what it says.
var (
	head = template.Must(template.New("head").Parse(`<!doctype html>
<html lang="{{.Language}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="page.css"></head>
<body><main><h1>{{.Title}}</h1><p class="looking" role="status">{{.Looking}}</p>
`))
	rest = template.Must(template.New("rest").Parse(`<div class="done">
{{range .Parts}}<section><h2>{{.Head}}</h2><ul>
{{range .Lines}}<li class="{{.Level}}"><span class="mark" aria-hidden="true"></span><span>{{.Text}}</span></li>
{{end}}</ul></section>
{{end}}<p class="verdict {{.Verdict.Level}}" role="status">{{.Verdict.Text}}</p>
<p><a class="button" href="./">{{.Again}}</a></p></div></main></body></html>
`))
)

// part is what stands below one heading.
type part struct {
	Head  string
	Lines []Line
}

// Page serves a report at its root, which is made anew each time. It takes
// seconds, and the browser is told so at once.
func Page(look func(r *http.Request) (Report, error), p *i18n.Printer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "page.css") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		// Errors of writing are a browser that has gone.
		_ = head.Execute(w, map[string]string{"Language": p.Tag().String(), "Title": p.T("DoctorTitle"), "Looking": p.T("DoctorLooking")})
		_ = http.NewResponseController(w).Flush()
		report, err := look(r)
		if err != nil {
			fmt.Fprintf(w, `<p class="verdict wrong done" role="status">%s</p></main></body></html>`,
				template.HTMLEscapeString(p.T("DoctorFailed", "Problem", err.Error())))
			return
		}
		var parts []part
		for _, l := range report.Lines(p) {
			if l.Level == Head {
				parts = append(parts, part{Head: l.Text})
			} else if n := len(parts); n > 0 {
				parts[n-1].Lines = append(parts[n-1].Lines, l)
			}
		}
		verdict := Line{Wrong, p.T("DoctorTrouble")}
		if report.Healthy {
			verdict = Line{Good, p.T("DoctorHealthy")}
		}
		_ = rest.Execute(w, map[string]any{"Parts": parts, "Verdict": verdict, "Again": p.T("DoctorAgain")})
	})
	return mux
}
