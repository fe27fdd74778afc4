// AXI4-Lite slave, 32 bits, and head of the configuration ring: an access becomes a message that goes from cell to cell
// and comes back, answered by the cell that has the address, or as it was. One access at a time.
//
//   ADDR_W   bits of a word's address in the ring. Byte addresses have three bits more: two below, which must be 0, and
//            one above, with which a write XORs its data into the word
//
// A message is {valid, op, address, data}, of ADDR_W + 35 bits; op is 0 read, 1 write, 2 exclusive or, 3 answer, whose
// address[0] says that the access is refused.
//
// Responses: OKAY; SLVERR of an address that is no multiple of 4, of a part of a word (WSTRB neither 15 nor 0), and of
// what a cell refuses; DECERR where no cell has the address.
//
// Timing: every output is a register, or decoded from one or two. An access takes the cycles of the ring and 4 more.

`default_nettype none

module hwflow_axil #(
    parameter int ADDR_W = 10,
    localparam int CFG_W = ADDR_W + 35
) (
    input  wire               clk_i,
    input  wire               rst_ni,

    input  wire  [ADDR_W+2:0] s_axil_awaddr,
    input  wire  [       2:0] s_axil_awprot,
    input  wire               s_axil_awvalid,
    output logic              s_axil_awready,
    input  wire  [      31:0] s_axil_wdata,
    input  wire  [       3:0] s_axil_wstrb,
    input  wire               s_axil_wvalid,
    output logic              s_axil_wready,
    output logic [       1:0] s_axil_bresp,
    output logic              s_axil_bvalid,
    input  wire               s_axil_bready,
    input  wire  [ADDR_W+2:0] s_axil_araddr,
    input  wire  [       2:0] s_axil_arprot,
    input  wire               s_axil_arvalid,
    output logic              s_axil_arready,
    output logic [      31:0] s_axil_rdata,
    output logic [       1:0] s_axil_rresp,
    output logic              s_axil_rvalid,
    input  wire               s_axil_rready,

    output logic [ CFG_W-1:0] cfg_o,
    input  wire  [ CFG_W-1:0] cfg_i
);

    localparam logic [1:0] READ = 2'd0, WRITE = 2'd1, XOR = 2'd2, ANSWER = 2'd3;
    localparam logic [1:0] OKAY = 2'd0, SLVERR = 2'd2, DECERR = 2'd3;

    if (ADDR_W < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_axil: ADDR_W (%0d) must be positive", ADDR_W);
    end

    wire unused_protection = &{1'b0, s_axil_awprot, s_axil_arprot};

    // --- What has been accepted.

    logic [ADDR_W+2:0] write_addr_reg, read_addr_reg;
    logic [31:0] data_reg;
    logic [3:0] strobe_reg;
    logic write_addr_valid_reg, data_valid_reg, read_addr_valid_reg;

    wire write_done = s_axil_bvalid && s_axil_bready;
    wire read_done = s_axil_rvalid && s_axil_rready;

    assign s_axil_awready = !write_addr_valid_reg;
    assign s_axil_wready  = !data_valid_reg;
    assign s_axil_arready = !read_addr_valid_reg;

    always_ff @(posedge clk_i) begin
        if (s_axil_awready) write_addr_reg <= s_axil_awaddr;
        if (s_axil_arready) read_addr_reg <= s_axil_araddr;
        if (s_axil_wready) begin
            data_reg   <= s_axil_wdata;
            strobe_reg <= s_axil_wstrb;
        end
        if (!rst_ni) begin
            write_addr_valid_reg <= 1'b0;
            data_valid_reg       <= 1'b0;
            read_addr_valid_reg  <= 1'b0;
        end else begin
            if (s_axil_awready) write_addr_valid_reg <= s_axil_awvalid;
            else if (write_done) write_addr_valid_reg <= 1'b0;
            if (s_axil_wready) data_valid_reg <= s_axil_wvalid;
            else if (write_done) data_valid_reg <= 1'b0;
            if (s_axil_arready) read_addr_valid_reg <= s_axil_arvalid;
            else if (read_done) read_addr_valid_reg <= 1'b0;
        end
    end

    // --- One access after the other; reads and writes take turns.

    logic idle_reg, sent_reg, write_reg;
    logic refused_reg, okay_reg;  // an access that is not sent is answered, and so

    wire may_write = write_addr_valid_reg && data_valid_reg;
    wire write = may_write && (!read_addr_valid_reg || !write_reg);
    wire start = idle_reg && (may_write || read_addr_valid_reg);
    wire [ADDR_W+2:0] addr = write ? write_addr_reg : read_addr_reg;
    wire misaligned = addr[1:0] != '0;
    wire whole = !write || strobe_reg == 4'hf;
    wire nothing = write && strobe_reg == '0;
    wire send = start && !misaligned && whole;

    wire back = sent_reg && cfg_i[CFG_W-1];
    wire answered = cfg_i[CFG_W-2-:2] == ANSWER;
    wire done = back || refused_reg;
    wire [1:0] response = back ? (!answered ? DECERR : cfg_i[32] ? SLVERR : OKAY) : okay_reg ? OKAY : SLVERR;
    wire unused_answer = &{1'b0, cfg_i};

    always_ff @(posedge clk_i) begin
        cfg_o[CFG_W-2:0] <= {!write ? READ : addr[ADDR_W+2] ? XOR : WRITE, addr[ADDR_W+1:2], data_reg};
        okay_reg <= nothing && !misaligned;
        if (done) begin
            s_axil_bresp <= response;
            s_axil_rresp <= response;
            s_axil_rdata <= (back && answered) ? cfg_i[31:0] : '0;
        end
        if (!rst_ni) begin
            cfg_o[CFG_W-1] <= 1'b0;
            idle_reg       <= 1'b1;
            sent_reg       <= 1'b0;
            write_reg      <= 1'b0;
            refused_reg    <= 1'b0;
            s_axil_bvalid  <= 1'b0;
            s_axil_rvalid  <= 1'b0;
        end else begin
            cfg_o[CFG_W-1] <= send;
            refused_reg    <= start && !send;
            if (start) write_reg <= write;
            if (send) sent_reg <= 1'b1;
            else if (back) sent_reg <= 1'b0;
            if (start) idle_reg <= 1'b0;
            else if (write_done || read_done) idle_reg <= 1'b1;
            if (done && write_reg) s_axil_bvalid <= 1'b1;
            else if (s_axil_bready) s_axil_bvalid <= 1'b0;
            if (done && !write_reg) s_axil_rvalid <= 1'b1;
            else if (s_axil_rready) s_axil_rvalid <= 1'b0;
        end
    end

endmodule

`default_nettype wire
