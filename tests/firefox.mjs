// The panel in Firefox: logs in at URL as USERNAME, sells, reads the amount in the list, logs out.
// Prints what the console complained of, as JSON. Run by test_panel_firefox.py, by the puppeteer in MODULES.
const [url, program, username, password, modules] = process.argv.slice(2);
const { default: puppeteer } = await import(`${modules}/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js`);
const browser = await puppeteer.launch({ browser: "firefox", executablePath: program, headless: true });
const page = await browser.newPage();
const complaints = [];
page.on("console", (said) => ["error", "warn"].includes(said.type()) && complaints.push(said.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
page.setDefaultTimeout(60_000);
const fill = (selector, text) => page.locator(selector).fill(text);
const press = (name) => page.locator(`::-p-aria([name="${name}"][role="button"])`).click();
const see = (text) => page.locator(`::-p-text(${text})`).wait();
try {
  await page.goto(`${url}/panel`);
  await fill('input[autocomplete="username"]', username);
  await fill('input[type="password"]', password);
  await press("Entrar");
  await press("Nueva venta");
  await fill("dialog input", "1.500,50");
  await press("Guardar la venta");
  await see("1.500,50");
  await press("Salir");
  await see("Iniciar sesión");
  console.log(JSON.stringify(complaints));
} finally {
  await browser.close();
}
