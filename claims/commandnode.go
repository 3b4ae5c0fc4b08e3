package claims

import "strings"

// javascript knows the development servers of Node.js.
func (c *commandLine) javascript(program string) {
	if program == "node" || program == "bun" || program == "deno" || program == "tsx" {
		for i := 1; i < len(c.argv); i++ {
			if strings.HasPrefix(c.argv[i], "-") {
				continue
			}
			// The program of a package, by its path below node_modules/.bin.
			c.shift(i)
			program = strings.TrimSuffix(strings.TrimSuffix(programName(c.argv[0]), ".js"), ".mjs")
			break
		}
	}
	usual, ok := devServer(program, c.argv[1:])
	if !ok {
		return
	}
	port := or(c.flag("--port", "-p"), c.getenv("PORT"))
	if program == "vite" { // reads no variable
		port = c.flag("--port")
	}
	host := ""
	if program == "vite" || program == "astro" || program == "ng" {
		host = "localhost"
	}
	c.hostPort(program, c.flag("--host", "-H", "--hostname"), port, host, usual)
}

// devServer returns the port that a development server has by itself.
func devServer(program string, args []string) (port int, ok bool) {
	verb := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb = args[0]
	}
	switch program + " " + verb {
	case "vite ", "vite dev", "vite serve":
		return 5173, true
	case "vite preview":
		return 4173, true
	case "next dev", "next start", "nuxt dev", "nuxi dev", "react-scripts start", "remix dev", "docusaurus start":
		return 3000, true
	case "ng serve":
		return 4200, true
	case "vue-cli-service serve", "webpack serve", "webpack-dev-server ", "eleventy --serve":
		return 8080, true
	case "astro dev", "astro preview":
		return 4321, true
	case "gatsby develop":
		return 8000, true
	case "storybook dev", "start-storybook ":
		return 6006, true
	case "parcel ", "parcel serve":
		return 1234, true
	case "wrangler dev":
		return 8787, true
	case "expo start":
		return 8081, true
	case "http-server ", "serve ":
		return map[string]int{"http-server": 8080, "serve": 3000}[program], true
	}
	return 0, false
}
